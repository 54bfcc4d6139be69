-- SPDX-License-Identifier: Apache-2.0
-- The catalogue: what is stored, where, since when, and from whom. Times are microseconds since 1970 in UTC.
-- Every table is append-only but three columns: flow.watermark, segment.retired, rollup.retired; hot rows leave when sealed.

create table meta (
    key text primary key,
    value text not null
);

create table flow (
    id integer primary key,
    key text not null unique,
    batch bigint not null,          -- the batch that brought the flow; its hash covers (id, key)
    watermark bigint                -- latest start among sealed values; later starts are new without a look-up
);

create table batch (
    id bigint primary key,
    source text not null,
    seq text not null,
    rows bigint not null,
    unchanged bigint not null,
    rejected bigint not null,
    recorded_at bigint not null,    -- grows with id, so a moment of knowledge is one integer cut
    run text not null,
    model text not null,
    version text not null,
    inputs text not null,           -- JSON list
    note text not null,
    content text not null,          -- SHA-256 of the canonical content
    prev text not null,
    hash text not null,
    start_min bigint,
    start_max bigint,
    unique (source, seq)
);

create index batch_recorded_at on batch (recorded_at);

create table hot (
    last bigint primary key,        -- the last batch of one commit
    base blob,                      -- Arrow IPC stream of first arrivals
    late blob                       -- Arrow IPC stream of later versions of values that exist already
);

create table segment (
    path text primary key,
    part text not null,             -- base | late
    sha256 text not null,
    bytes bigint not null,
    rows bigint not null,
    start_min bigint not null,
    start_max bigint not null,
    batch_min bigint not null,
    batch_max bigint not null,
    retired bigint                  -- when a compaction replaced it; unlinked after the grace period
);

create table rollup (
    path text primary key,
    part text not null,             -- base: partial sums of first arrivals | late: hours computed anew
    sha256 text not null,
    bytes bigint not null,
    rows bigint not null,
    start_min bigint not null,
    start_max bigint not null,
    batch_min bigint not null,
    batch_max bigint not null,
    retired bigint
);

create table quarantine (
    id integer primary key,
    batch bigint not null,
    line bigint,
    raw blob not null,
    code text not null,
    data text not null              -- JSON object
);

create table record (
    id text primary key,
    kind text not null,
    recorded_at bigint not null,
    document blob not null,
    payload blob not null
);

create index record_kind on record (kind, recorded_at);
