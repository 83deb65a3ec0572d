"""Kernels are compiled for the functions that call them, once for all types of integers."""

import pickle

import numpy as np
from meze.envs.core import kernel
from meze.envs.core.compiling import rare_kernel
from numba import njit


def test_a_kernel_is_compiled_once_for_all_signed_integers_and_constants():
    @kernel
    def less(a, b):
        return a - b

    @njit
    def call(small, large):
        return less(small[0], large[0]), less(large[0], 3), less(7, small[0]), less(True, small[0])

    assert call(np.array([5], np.int16), np.array([9])) == (-4, 6, 2, -4)
    assert len(less.overloads) == 2, "one for bools"


@kernel
def double(x):
    return 2 * x


def test_a_kernel_goes_to_other_processes():
    assert pickle.loads(pickle.dumps(double))(4) == 8


def test_kernels_that_call_each_other_give_what_python_gives():
    @rare_kernel
    def collatz(n):
        steps = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        return steps

    @kernel
    def longest(first, last):
        best = first
        for n in range(first, last):
            if collatz(n) > collatz(best):
                best = n
        return best

    @njit
    def call(last):
        return longest(1, last)

    assert call(1000) == 871, "the start below 1,000 of the longest sequence (OEIS A006877)"


def test_a_kernel_can_be_called_from_python_before_and_after_it_was_taken_in():
    @kernel
    def mark(values, k):
        values[k] += 1
        return values[k]

    @njit
    def call(values):
        return mark(values, 0)

    values = np.zeros(2, np.int64)
    assert (mark(values, 1), call(values), mark(values, 0)) == (1, 1, 2)
    assert values.tolist() == [2, 1]
