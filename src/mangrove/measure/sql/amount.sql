-- Amounts of every flow in segments of time: short values where they start, longer ones by their share of the segment.
-- total: amount in the flow's unit, null when no value counts; hours: time that counted values stand for, at
-- most the stored bucket itself, so that values closer than declared cannot cover for missing ones (null when the step varies).
-- Several rows may speak of one flow and segment; every later query adds them up.
select s.flow, t.segment, a.total * s.scale as total, least(a.n * s.step_hours, s.most_hours) as hours, a.n, $counts
from fine a
join source s on s.stored = a.flow
join slot t on t.start = a.start
union all
select flow, segment, total * share as total, hours * share as hours,
       case when counts_here and n then 1 else 0 end as n,
       case when counts_here and n_excluded then 1 else 0 end as n_excluded,
       case when counts_here and n_estimated then 1 else 0 end as n_estimated
from (
    select c.*, g.segment, c.t0 >= g.t0 or g.segment = 0 as counts_here,
           cast(least(c.t1, g.t1) - greatest(c.t0, g.t0) as double) / (c.t1 - c.t0) as share
    from stretch c
    join segment g on g.t0 < c.t1 and g.t1 > c.t0
) as piece
