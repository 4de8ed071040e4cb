SELECT seed FROM {digest_seed}
