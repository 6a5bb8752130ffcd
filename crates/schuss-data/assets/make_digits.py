"""Makes digits.gz from scikit-learn's digits.csv.gz: python make_digits.py PATH/TO/digits.csv.gz digits.gz

65 bytes an example, in the order of the rows: 64 pixels (0..16, row by row), then the digit (0..9). The gzip header
holds no name and no time, so that the same input gives the same bytes.
"""
import gzip
import sys

source, asset = sys.argv[1:]
with gzip.open(source, "rt") as rows:
    content = b"".join(bytes(int(float(value)) for value in row.split(",")) for row in rows)
assert len(content) == 1797 * 65
with open(asset, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
    out.write(content)
