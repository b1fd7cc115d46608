select distinct on (currency) currency, usd_per_unit from gpusize.fx_rate order by currency, day desc
