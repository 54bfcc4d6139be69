-- SPDX-License-Identifier: Apache-2.0
-- Rows of each UTC day, for cutting a span into files.
select date_trunc('day', start) as start, count(*) as n
from $rows
group by date_trunc('day', start)
order by date_trunc('day', start)
