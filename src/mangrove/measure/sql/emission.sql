-- Emissions by group, label and bucket: amount x kg per unit x the share of the place.
select m.grp, c.label, s.bucket,
       sum(a.total * c.kg * m.share) as kg,
       sum(a.total * c.kg * c.weight * m.share) as co2e
from amount a
join slot s on s.start = a.start
join coefficient c on c.flow = a.flow and a.start >= c.valid_from and a.start < c.valid_to
join member m on m.flow = a.flow
group by m.grp, c.label, s.bucket
