-- SPDX-License-Identifier: Apache-2.0
-- Values to sums: what is counted is summed, what is not is shown as excluded.
select
    flow,
    $unit as start,
    sum(case when $counted then value end) as total,
    count(case when $counted then 1 end) as n,
    count(case when $counted or quality = 9 then null else 1 end) as n_excluded,
    count(case when quality = 7 then 1 end) as n_estimated,
    min(case when $counted then value end) as low,
    max(case when $counted then value end) as high,
    max(batch) as batch_max
from $rows
$where
group by flow, $unit
