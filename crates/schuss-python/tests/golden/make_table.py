"""An ensemble of RealMLPs for a table, by the command: `python make_table.py PATH/TO/schuss`.

`table.csv` is what it learned from, `table.safetensors` the model, `table_predictions.csv` what `schuss predict` gives.
"""

import csv
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent


def rows():
    draw = random.Random(0)
    for _ in range(300):
        number, tree, room = draw.gauss(20, 5), draw.choice(["ash", "beech", "elm", "oak"]), draw.choice([101, 102, 203])
        is_new, day = draw.random() < 0.4, f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02} {draw.randint(0, 23):02}:30:00"
        score = (number > 20) + (tree == "oak") + (room == 203) + is_new
        gap = draw.random()
        yield {
            "number": "" if gap < 0.06 else f"{number:.3f}",
            "tree": "" if gap > 0.95 else tree,
            "room": room,
            "new": is_new,
            "day": day,
            "class": ["low", "middle", "high"][min(score, 2)],
        }


def main(schuss):
    table = list(rows())
    with open(HERE / "table.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, table[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        flags = "--types room=category --bag 3 --hidden 8,8 --epochs 20 --no-report".split()
        subprocess.run([schuss, "train", HERE / "table.csv", "--target", "class", *flags, "--out", run], check=True)
        (HERE / "table.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    predictions = HERE / "table_predictions.csv"
    subprocess.run([schuss, "predict", HERE / "table.safetensors", HERE / "table.csv", "-o", predictions], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
