"""burn on its flex backend, with AVX-512 products (feature x86-v4)."""

import rust

if __name__ == "__main__":
    rust.main("burn-rival", ["burn", "burn-flex", "gemm"])
