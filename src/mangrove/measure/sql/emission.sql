-- Emissions by group, label and bucket: amount x kg per unit x the share of the place.
-- The amount itself has a meaning only where a row is of one line.
select m.grp, c.label, g.bucket,
       sum(a.total * m.share) as amount,
       sum(a.total * c.kg * m.share) as kg,
       sum(a.total * c.kg * c.weight * m.share) as co2e,
       sum(a.total * c.kg * m.share * (1 + c.shift)) as kg_middle,
       sum(a.total * c.kg * c.weight * m.share * (1 + c.shift)) as co2e_middle
from amount a
join bucket g on g.segment = a.segment
join coefficient c on c.flow = a.flow and a.segment >= c.first and a.segment < c.last
join member m on m.flow = a.flow
where a.total is not null
group by m.grp, c.label, g.bucket
