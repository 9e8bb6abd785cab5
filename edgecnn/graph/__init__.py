"""The intermediate representation: `ir` (graph), `ops` (operators), `reference` (their numpy meaning), `dump`."""
