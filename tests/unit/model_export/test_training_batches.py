"""Few pipelines serve all epochs of a run, wherever it begins."""

from itertools import islice

from model_export.training.trainer import EPOCHS_AT_ONCE, train_batches


class Task:
    """Two batches per epoch, named after it; notes the epochs of every pipeline."""

    def __init__(self):
        self.pipelines = []

    def batches(self, epochs, seed):
        self.pipelines.append(epochs)
        return [(epoch, number, seed) for epoch in epochs for number in range(2)]


class OneDevice:
    def experimental_distribute_dataset(self, dataset):
        return dataset


def test_every_epoch_comes_once_and_in_order():
    task = Task()
    last = 3 + 2 * EPOCHS_AT_ONCE + 1
    found = list(train_batches(task, range(3, last), 5, OneDevice()))
    assert found == [(epoch, number, 5) for epoch in range(3, last) for number in range(2)]
    assert [len(each) for each in task.pipelines] == [EPOCHS_AT_ONCE, EPOCHS_AT_ONCE, 1]


def test_a_pipeline_is_made_when_its_first_batch_is_wanted():
    task = Task()
    batches = train_batches(task, range(2 * EPOCHS_AT_ONCE), 0, OneDevice())
    assert len(list(islice(batches, 2 * EPOCHS_AT_ONCE))) == 2 * EPOCHS_AT_ONCE
    assert len(task.pipelines) == 1
    assert next(batches) == (EPOCHS_AT_ONCE, 0, 0)
    assert len(task.pipelines) == 2
    assert list(train_batches(task, range(4, 4), 0, OneDevice())) == []
