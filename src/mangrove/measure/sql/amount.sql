-- Amounts of every flow in stored buckets: fine flows from roll-ups or readings, coarse flows spread over the time they stand for.
-- total: amount in the flow's unit (rates already multiplied by hours); hours: time covered by counted values (null when the step varies).
create or replace temp view amount as
select a.flow, a.start, a.total * f.scale as total, a.n * f.step_hours as hours, a.n, a.n_excluded, a.n_estimated
from fine a
join flow_scale f on f.flow = a.flow
union all
select c.flow, g.start, sum(c.per_us * (least(c.t1, g.t1) - greatest(c.t0, g.t0))) as total,
       sum(c.counted * (least(c.t1, g.t1) - greatest(c.t0, g.t0))) / 3600000000.0 as hours,
       sum(c.counted) as n, sum(c.excluded) as n_excluded, sum(c.estimated) as n_estimated
from coarse c
join segment g on g.t0 < c.t1 and g.t1 > c.t0
group by c.flow, g.start
