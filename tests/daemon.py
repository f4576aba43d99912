"""A stand-in for a cloud's daemon, for tests that need no control plane."""

import threading


class Daemon:
    """Does at once what a cloud's daemon does: control planes and pools become active, deleted ones vanish."""

    def __init__(self, store, cloud):
        self.store, self.cloud, self.works = store, cloud, True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(0.02):
            for cluster in self.store.clusters(self.cloud) if self.works else []:
                if cluster.status == "creating":
                    endpoint = f"https://127.0.9.{cluster.number}:6443"
                    self.store.set_cluster(self.cloud, cluster.id, status="active", endpoint=endpoint, ca="PEM")
                elif cluster.status == "deleting":
                    self.store.delete_cluster(self.cloud, cluster.id)
            for pool in self.store.pools(self.cloud) if self.works else []:
                if pool.status == "creating":
                    self.store.set_pool(self.cloud, pool.id, status="active")
                elif pool.status == "deleting":
                    self.store.delete_pool(self.cloud, pool.id)

    def stop(self):
        self._stop.set()
        self._thread.join()
