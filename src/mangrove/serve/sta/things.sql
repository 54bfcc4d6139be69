-- Entities of SensorThings: what is declared (key is set) and what clients created (key is null).
-- Times are microseconds since 1970 in UTC; JSON values are text; ids are never used again.
create table thing (
    id integer primary key autoincrement, key text unique, place text, name text not null, description text,
    definition text, properties text);
create table location (
    id integer primary key autoincrement, key text unique, place text, name text not null, description text,
    definition text, encoding_type text not null, location text not null, properties text);
create table historical_location (
    id integer primary key autoincrement, key text unique, place text, time integer not null,
    thing integer not null references thing (id));
create table sensor (
    id integer primary key autoincrement, key text unique, place text, name text not null, description text,
    definition text, encoding_type text, metadata text, properties text);
create table observed_property (
    id integer primary key autoincrement, key text unique, place text, name text not null, definition text not null,
    description text, properties text);
create table feature (
    id integer primary key autoincrement, key text unique, place text, name text not null, description text,
    definition text, encoding_type text not null, feature text not null, properties text,
    location integer references location (id) on delete set null);
create table feature_type (
    id integer primary key autoincrement, key text unique, place text, name text not null, definition text,
    description text, properties text);
create table datastream (
    id integer primary key autoincrement, key text unique, place text, name text not null, description text,
    definition text, observation_type text, unit text, result_type text, result_encoding text, observed_area text,
    properties text, thing integer not null references thing (id), sensor integer not null references sensor (id),
    observed_property integer not null references observed_property (id), feature integer references feature (id),
    flow text, series text unique, step integer, months integer not null default 0, writable integer not null default 1);
create table observation (
    id integer primary key autoincrement, key text, place text, datastream integer not null references datastream (id),
    feature integer references feature (id), phen_start integer not null, phen_end integer, result, result_kind text not null,
    result_time integer, valid_start integer, valid_end integer, quality text, parameters text);
create table extra (
    series text not null, start integer not null, result_time integer, valid_start integer, valid_end integer,
    quality text, parameters text, primary key (series, start)) without rowid;
create table thing_location (
    thing integer not null references thing (id), location integer not null references location (id),
    primary key (thing, location)) without rowid;
create table historical_location_location (
    historical_location integer not null references historical_location (id),
    location integer not null references location (id), primary key (historical_location, location)) without rowid;
create table datastream_ultimate (
    datastream integer not null references datastream (id), feature integer not null references feature (id),
    primary key (datastream, feature)) without rowid;
create table feature_feature_type (
    feature integer not null references feature (id), feature_type integer not null references feature_type (id),
    primary key (feature, feature_type)) without rowid;
create table meta (key text primary key, value text not null) without rowid;
create index location_things on thing_location (location);
create index location_history on historical_location_location (location);
create index history_of_thing on historical_location (thing, time);
create index ultimate_datastreams on datastream_ultimate (feature);
create index type_features on feature_feature_type (feature_type);
create index datastreams_of_thing on datastream (thing);
create index datastreams_of_sensor on datastream (sensor);
create index datastreams_of_property on datastream (observed_property);
create index datastreams_of_feature on datastream (feature);
create index observations_of_datastream on observation (datastream, phen_start, id);
create index observation_ends on observation (datastream, coalesce(phen_end, phen_start));
create index observation_results on observation (datastream, result_time);
create index observations_of_feature on observation (feature, phen_start);
create index observations_in_time on observation (phen_start, id);
