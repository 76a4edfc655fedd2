import numpy as np
import pytest

from siamese_utils.data import synthetic_classes

A = np.arange(1, 17, dtype=np.uint8).reshape(1, 4, 4, 1)
B = np.zeros((1, 4, 4, 1), dtype=np.uint8)
B[0, 1:3, 1:3] = 50


def test_the_joins_of_two_images_by_hand():
    rows = synthetic_classes.join(A, B, "top and bottom", 0.5)[0, ..., 0]
    assert rows.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [0, 50, 50, 0], [0, 0, 0, 0]]
    columns = synthetic_classes.join(A, B, "left and right", 0.25)[0, ..., 0]
    assert columns.tolist() == [[1, 0, 0, 0], [5, 50, 50, 0], [9, 50, 50, 0], [13, 0, 0, 0]]
    union = synthetic_classes.join(A, B, "union", 0.5)[0, ..., 0]
    assert union.tolist() == [[1, 2, 3, 4], [5, 50, 50, 8], [9, 50, 50, 12], [13, 14, 15, 16]]
    rest = synthetic_classes.join(A, B, "one without the other", 0.5)[0, ..., 0]
    assert rest.tolist() == [[1, 2, 3, 4], [5, 0, 0, 8], [9, 0, 0, 12], [13, 14, 15, 16]]
    assert {synthetic_classes.join(A, B, how, 0.5).dtype for how in synthetic_classes.JOINS} == {
        np.dtype(np.uint8)
    }


def test_an_image_is_squeezed_towards_its_middle():
    squeezed = synthetic_classes.squeeze(A, axis=2, share=0.5)[0, ..., 0]
    # columns at 1.5 -+ 1.5 / 0.5 lie outside; the inner two come from 1.5 -+ 0.5 / 0.5, rounded
    assert squeezed.tolist() == [[0, 1, 3, 0], [0, 5, 7, 0], [0, 9, 11, 0], [0, 13, 15, 0]]
    assert (synthetic_classes.squeeze(A, axis=1, share=1.0) == A).all()


def test_images_that_are_not_square_are_rotated_by_two_right_angles():
    wide = A[:, :2]
    assert (synthetic_classes.rotate(wide, 1) == wide[:, ::-1, ::-1]).all()
    assert (synthetic_classes.rotate(A, 1)[0, 0, :, 0] == A[0, :, 3, 0]).all()


@pytest.fixture
def sampled(digits):
    """The images and labels of the seen classes, and three steps sampled from them."""
    rows = np.isin(digits.labels, digits.seen)
    arguments = digits.images[rows], digits.labels[rows]
    return arguments, synthetic_classes.sample_steps(
        *arguments, np.random.default_rng(0), 3, size=5, num_synthetic=4
    )


def test_a_step_holds_the_seen_classes_and_then_synthetic_ones(sampled, digits):
    (images, labels), (steps, step_labels) = sampled
    assert steps.shape == (3, 10 * 5, 28, 28, 1)
    assert steps.dtype == np.uint8
    assert step_labels[0].tolist() == np.repeat(range(10), 5).tolist()
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for step in steps:
        classes = [known.get(image.tobytes()) for image in step]
        assert classes[:30] == [digits.seen[k] for k in step_labels[0][:30]]
        assert sum(label is not None for label in classes[30:]) < 3  # next to none exists


def test_each_step_has_other_synthetic_classes_and_a_seed_gives_the_same_steps(sampled):
    arguments, (steps, _) = sampled
    assert not (steps[0, 30:] == steps[1, 30:]).all()
    again, _ = synthetic_classes.sample_steps(
        *arguments, np.random.default_rng(0), 3, size=5, num_synthetic=4
    )
    assert (again == steps).all()


def test_a_synthetic_class_is_made_in_one_way_for_all_its_images():
    members = {0: np.full((3, 8, 8, 1), 9, np.uint8), 1: np.zeros((3, 8, 8, 1), np.uint8)}
    rng = np.random.default_rng(0)
    for _ in range(30):
        made = synthetic_classes.sample_class(members, rng, 6)
        assert (made == made[0]).all()
