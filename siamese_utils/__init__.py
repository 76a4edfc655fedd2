"""Siamese networks on small images: the package behind the notebooks."""

import logging
import os

# TensorFlow need not say what it could do on other machines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The first of several processes would take all memory of a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# Each training has a model of its own, for which TensorFlow traces functions anew. That is meant,
# and its advice against it would tear the progress bars of a notebook.
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in str(record.msg))
