-- SPDX-License-Identifier: Apache-2.0
-- Hourly partial sums as they stand: an hour computed anew replaces all partial sums up to its seal.
with late_now as (
    select flow, start, max(seal) as seal
    from $late
    group by flow, start
)
select $columns
from $base b
left join late_now l on l.flow = b.flow and l.start = b.start
where l.seal is null or b.seal > l.seal
union all
select $columns
from $late b
join late_now l on l.flow = b.flow and l.start = b.start and l.seal = b.seal
