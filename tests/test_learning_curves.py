import pytest

from siamese_utils.evaluation import learning_curves


def test_bumps_by_hand():
    assert learning_curves.find_bumps([5, 3, 4, 2, 2, 1, 6]) == [3]
    # inner epochs 2 to 6; near 3 are 2, 3, 4, one of them a bump; of 5 and 6 none
    assert learning_curves.bump_excess([5, 3, 4, 2, 2, 1, 6], [3]) == pytest.approx(1 / 3)


def test_an_excess_can_be_on_either_side():
    # bumps at 3 and 5: one of 2, 3, 4 is near 3, one of 5 and 6 is not
    assert learning_curves.bump_excess([5, 3, 4, 2, 3, 1, 0], [3]) == pytest.approx(1 / 3 - 1 / 2)
    assert learning_curves.bump_excess([3, 2, 1], [2]) == 0
    assert learning_curves.bump_excess([3, 2], [2]) == 0


def test_rises_by_hand():
    # 4 after 3, 2 after 2 and 6 after 1 are no lower
    assert learning_curves.count_rises([5, 3, 4, 2, 2, 1, 6]) == 3
    assert learning_curves.count_rises([3, 2, 1]) == learning_curves.count_rises([3]) == 0


def test_a_late_change_is_the_last_third_against_the_middle_one():
    # thirds of six: 9 9, then 3 5 with the mean 4, then 1 2 with the mean 1.5
    assert learning_curves.late_change([9, 9, 3, 5, 1, 2]) == -2.5
    assert learning_curves.late_change([9, 9, 1, 2, 3, 5]) == 2.5
    assert learning_curves.late_change([0, 100, 7, 7, 7, 7]) == 0  # the first third does not count
    assert learning_curves.late_change([5, 5, 5]) == 0


def test_of_twenty_epochs_the_last_six_are_compared_with_the_eight_before():
    curve = [50.0] * 6 + [1, 2, 3, 4, 5, 6, 7, 8] + [10, 10, 10, 10, 10, 40]
    assert learning_curves.late_change(curve) == 15 - 4.5


def test_a_short_curve_has_a_late_change_too():
    assert learning_curves.late_change([1, 2, 4]) == 2
    assert learning_curves.late_change([4, 4]) == 0
    assert learning_curves.late_change([4, 2]) < 0 < learning_curves.late_change([2, 4])
    assert learning_curves.late_change([4, 9, 3, 5]) == 5 - (9 + 3) / 2  # a third is one epoch
