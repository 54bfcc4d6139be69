-- SPDX-License-Identifier: Apache-2.0
-- The definition, for tests: rank all versions, keep the last, cut the time line at every boundary, sum.
with ranked as (
    select flow, start, value, quality, batch,
        row_number() over (partition by flow, start order by batch desc) as rank
    from $versions
    where batch <= $cut
),
placed as (
    select r.flow, max(p.start) as start, r.start as at, r.value, r.quality, r.batch
    from ranked r
    join $boundaries p on p.start <= r.start
    where r.rank = 1 and r.start >= $first and r.start < $last
    group by r.flow, r.start, r.value, r.quality, r.batch
)
select
    flow,
    start,
    sum(case when $counted then value end) as total,
    count(case when $counted then 1 end) as n,
    count(case when $counted or quality = 9 then null else 1 end) as n_excluded,
    count(case when quality = 7 then 1 end) as n_estimated,
    min(case when $counted then value end) as low,
    max(case when $counted then value end) as high,
    max(batch) as batch_max
from placed
group by flow, start
