-- SPDX-License-Identifier: Apache-2.0
-- Sums of parts to sums of buckets.
select
    flow,
    $unit as start,
    sum(total) as total,
    cast(sum(n) as bigint) as n,
    cast(sum(n_excluded) as bigint) as n_excluded,
    cast(sum(n_estimated) as bigint) as n_estimated,
    min(low) as low,
    max(high) as high,
    max(batch_max) as batch_max
from $parts
group by flow, $unit
