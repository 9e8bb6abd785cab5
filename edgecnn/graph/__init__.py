"""The intermediate representation: `ir` (graph), `ops` (operators), `reference` (what they mean), `cost`, `dump`."""
