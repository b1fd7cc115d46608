select gpusize.merge_rows($1, $2, $3) as rows
