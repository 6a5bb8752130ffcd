"""candle on the CPU, with AVX-512 products (gemm's feature x86-v4)."""

import rust

if __name__ == "__main__":
    rust.main("candle-rival", ["candle-core", "candle-nn", "gemm"])
