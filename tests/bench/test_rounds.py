"""The arithmetic of the benchmarks: `python3 -B -m unittest discover tests/bench`."""

from __future__ import annotations

import unittest
from functools import partial

from gauges import openssl_gib
from rounds import GIB, Row, Sample, alternate, order, ratio


def row(server: str, *seconds: float) -> Row:
    return Row("static", 1, server, [Sample(taken, GIB, 1, cpu=taken / 2) for taken in seconds])


class Rounds(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_ratios_within_each_round(self) -> None:
        # The machine slowed down tenfold in the second round: for both of them.
        ours, theirs = row("ours", 1, 10, 2), row("theirs", 2, 20, 3)
        self.assertEqual(ratio(ours, theirs, lambda sample: sample.gib), 2)
        self.assertEqual(ratio(ours, theirs, lambda sample: sample.cpu_per_gib), 0.5)

    def test_what_was_not_measured_has_no_ratio(self) -> None:
        limit = Row("static", 1, "limit", [Sample(1, GIB)])
        self.assertIsNone(ratio(row("ours", 1), limit, lambda sample: sample.cpu_per_gib))
        self.assertIsNone(limit.of(lambda sample: sample.peak))

    def test_in_each_round_everybody_has_one_turn(self) -> None:
        for number in range(8):
            self.assertEqual(sorted(order(3, number)), [0, 1, 2])
        self.assertEqual({order(3, number)[0] for number in range(8)}, {0, 1, 2})

    def test_samples_stand_with_the_server_that_they_are_of(self) -> None:
        rows = [Row("static", 1, name) for name in "abc"]
        alternate(rows, [partial(Sample, number, GIB) for number in (1, 2, 3)], rounds=4)
        self.assertEqual([{sample.seconds for sample in one.samples} for one in rows], [{1}, {2}, {3}])

    def test_the_speed_of_sha512_is_read_from_the_last_line(self) -> None:
        table = "The 'numbers' are in 1000s of bytes per second processed.\ntype 16384 bytes\nsha512   1073741.82k\n"
        self.assertAlmostEqual(openssl_gib(table), 1.0, places=6)


if __name__ == "__main__":
    unittest.main()
