-- One row per flow and segment, for segments that are longer than a stored bucket.
select flow, segment, sum(total) as total, sum(hours) as hours, cast(sum(n) as bigint) as n,
       cast(sum(n_excluded) as bigint) as n_excluded, cast(sum(n_estimated) as bigint) as n_estimated
from ($rows) as part
group by flow, segment
