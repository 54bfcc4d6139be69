-- SPDX-License-Identifier: Apache-2.0
-- Current values: first arrivals without those that were corrected, and the latest correction of each.
with late_now as (
    select flow, start, max(batch) as batch
    from $late
    group by flow, start
)
select b.flow, b.start, b.value, b.quality, b.batch
from $base b
left join late_now l on l.flow = b.flow and l.start = b.start
where l.batch is null
union all
select r.flow, r.start, r.value, r.quality, r.batch
from $late r
join late_now l on l.flow = r.flow and l.start = r.start and l.batch = r.batch
