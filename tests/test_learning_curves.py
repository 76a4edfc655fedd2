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
