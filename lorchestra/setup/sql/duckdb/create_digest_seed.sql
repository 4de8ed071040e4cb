-- Drawn once: who does not know it cannot make a changed object look unchanged.
CREATE TABLE IF NOT EXISTS {digest_seed} AS SELECT $seed::UBIGINT AS seed
