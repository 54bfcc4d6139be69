-- SPDX-License-Identifier: Apache-2.0
-- All versions of the values that stand at the door.
select d.position, r.value, r.quality, r.batch
from $door d
join $rows r on r.flow = d.flow and r.start = d.start
