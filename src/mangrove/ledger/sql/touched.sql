-- SPDX-License-Identifier: Apache-2.0
-- All versions of the values in the hours that corrections touch.
select r.flow, r.start, r.value, r.quality, r.batch
from $rows r
join $touched t on t.flow = r.flow and t.start = date_trunc('hour', r.start)
