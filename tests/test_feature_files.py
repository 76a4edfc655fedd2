import numpy as np
import pytest

from siamese_utils.data import feature_files

VECTORS = np.arange(12.0).reshape(4, 3)


def test_a_file_has_features_labels_and_names(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, features=VECTORS, labels=[0, 0, 1, 1], names=list("abcd"))
    file = feature_files.read(path)
    assert np.array_equal(file.features, VECTORS)
    assert file.labels.tolist() == [0, 0, 1, 1]
    assert file.names == ["a", "b", "c", "d"]
    assert file.summary() == "4 feature vectors of 3 numbers"


def test_labels_and_names_may_be_missing(tmp_path):
    path = tmp_path / "one.npy"
    np.save(path, VECTORS[0])
    file = feature_files.read(path)
    assert np.array_equal(file.features, VECTORS[:1])
    assert file.names == ["0"]
    with pytest.raises(ValueError, match="has no array 'labels'"):
        _ = file.labels


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": VECTORS}, "has no array 'features'; it has vectors"),
        ({"features": np.array(["a"])}, r"must be numbers, \(vectors, dimensions\), not <U1"),
        ({"features": np.zeros((2, 3, 4))}, r"float64 of shape \(2, 3, 4\)"),
        ({"features": np.zeros((0, 3))}, r"of shape \(0, 3\)"),
        ({"features": VECTORS, "labels": [1, 2]}, r"labels must have the shape \(4,\)"),
        ({"features": np.array([{}])}, "is no npz or npy file of numbers"),
    ],
)
def test_wrong_files_are_refused(arrays, message, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        feature_files.read(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, features=VECTORS)
    for content in (b"", b"no array", path.read_bytes()[:60]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no npz or npy file"):
            feature_files.read(path)
