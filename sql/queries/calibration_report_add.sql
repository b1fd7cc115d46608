insert into gpusize.calibration_report (id, report, note) values ($1, $2, $3) on conflict do nothing
