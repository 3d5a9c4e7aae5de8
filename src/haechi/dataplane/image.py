"""The image store: read-only layers, and images as chains of them.

    images/layer/<name>/    one tree each, owners as inside the guest (uid 0 is its root), never changed once there
    images/chain/<id>       an image: names of its layers, one a line, top first

A host keeps the chain it was made from in its own directory, so an image can be deleted while hosts still run on it: a layer goes
when the last chain that names it is gone.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from haechi.dataplane import base, kernel
from haechi.dataplane.cgroup import Cgroups
from haechi.dataplane.files import held, read_json, remove_tree
from haechi.dataplane.site import Site

BASE = "base"
DEPTH = 50  # deeper chains are made flat; the kernel's own limit is 500
SNAPSHOT = Path(__file__).with_name("snapshot.py")


class Images:
    """Images of one site. Ids are the caller's, "base" is what `ensure_base` makes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._layers = site.home / "images" / "layer"
        self._chains = site.home / "images" / "chain"
        self._sizes: dict[str, int] = {}

    def ensure_base(self, progress: Callable[[str], None]) -> None:
        """Make the image "base" be what the current recipe says: about 30 s the first time on this machine, 3 s on this site.

        Hosts and images on an older base keep it. KernelError when it cannot be built and there is none yet.
        """
        with self._locked("base"):
            try:
                tar = base.build(self._site.cache, progress)
            except kernel.KernelError as error:
                if not self.exists(BASE):
                    raise
                progress(f"the base image stays as it is: {error}")
                return
            name = base.name_layer(tar)
            if self.exists(BASE) and self.chain(BASE) == (name,):
                return
            progress("unpacking the base image")
            scratch = self._scratch(name)
            base.unpack(tar, scratch / "tree")
            with self.locked():
                if not (self._layers / name).exists():
                    (scratch / "tree").rename(self._layers / name)
                self._publish(BASE, (name,))
                self._collect()
            remove_tree(scratch)

    def ids(self) -> list[str]:
        """Every image there is."""
        return [path.name for path in self._chains.glob("[!.]*")]

    def exists(self, id: str) -> bool:
        return (self._chains / id).is_file()

    def chain(self, id: str) -> tuple[str, ...]:
        """Names of an image's layers, top first. KeyError when there is no such image."""
        try:
            return tuple((self._chains / id).read_text().split())
        except FileNotFoundError as error:
            raise KeyError(id) from error

    def layers(self, id: str) -> tuple[Path, ...]:
        """Trees of an image's layers, top first. KeyError when there is no such image."""
        return self.paths(self.chain(id))

    def paths(self, chain: tuple[str, ...]) -> tuple[Path, ...]:
        """Trees of the layers of a chain."""
        return tuple(self._layers / name for name in chain)

    def size_mib(self, id: str) -> int:
        """Disk space of all layers of an image, shared or not, in MiB, rounded up. KeyError when there is no such image."""
        total = 0
        for name in self.chain(id):
            if name not in self._sizes:
                self._sizes[name] = int(kernel.run("du", "-s", "--block-size=1", str(self._layers / name)).split()[0])
            total += self._sizes[name]
        return -(-total >> 20)

    def commit(self, host_id: str, image_id: str) -> None:
        """Make an image of a host's disk, without what makes it that host. A running host stands still while its layer is copied.

        Nothing happens when the image exists. KeyError when the host does not; KernelError when the copy fails.
        """
        home = self._site.home / "hosts" / host_id
        if self.exists(image_id):
            return
        if not read_json(home / "machine.json"):
            raise KeyError(host_id)
        with held(home / "disk.lock") as lock:
            chain = tuple(read_json(home / "machine.json")["layers"])
            groups = Cgroups(self._site.prefix)
            flat = len(chain) >= DEPTH
            scratch = self._scratch(image_id)
            request = {
                "upper": str(home / "rw" / "upper"),
                "into": str(scratch),
                "layers": [f"../{name}" for name in chain],
                "freeze": str(groups.paths(host_id)[0]) if groups.populated(host_id) else "",
                "identity": read_json(home / "applied.json") or read_json(home / "identity.json"),
                "flatten": flat,
            }
            # it keeps the lock while it lives, even when we are killed: nobody copies or boots into its work
            command = [sys.executable, "-I", "-S", str(SNAPSHOT)]
            done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, pass_fds=[lock])
            if done.returncode:
                remove_tree(scratch)
                raise kernel.KernelError(f"image {image_id} of {host_id}: {done.stderr.strip()}")
            with self.locked():
                remove_tree(self._layers / image_id)  # of a commit that was killed before it published
                (scratch / "tree").rename(self._layers / image_id)
                self._publish(image_id, (image_id,) if flat else (image_id, *chain))
            remove_tree(scratch)

    def delete(self, id: str) -> None:
        """Forget an image; its layers go when nothing else lies on them. ValueError for "base"; nothing happens when there is none."""
        if id == BASE:
            raise ValueError("the base image is made by haechi itself and cannot be deleted")
        with self.locked():
            (self._chains / id).unlink(missing_ok=True)
            self._collect()

    def collect(self) -> None:
        """Remove layers that no image and no host names."""
        with self.locked():
            self._collect()

    def destroy(self) -> None:
        """Remove every image of this site. The cache stays."""
        remove_tree(self._site.home / "images")

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Hold while reading a chain and writing it down elsewhere: no layer is removed meanwhile."""
        return self._locked("chains")

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        for path in (self._site.home, self._chains.parent, self._layers, self._chains):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with held(self._chains.parent / f"{name}.lock"):
            yield

    def _scratch(self, name: str) -> Path:
        """A new directory beside the layers. Its name begins with a dot: not a layer."""
        path = self._layers / f".{name}"
        remove_tree(path)
        path.mkdir(mode=0o700)
        return path

    def _publish(self, id: str, chain: tuple[str, ...]) -> None:
        half = self._chains / f".{id}"
        half.write_text("\n".join(chain) + "\n")
        half.rename(self._chains / id)

    def _collect(self) -> None:
        used = {name for id in self.ids() for name in self.chain(id)}
        for path in self._site.home.glob("hosts/*/machine.json"):
            used.update(read_json(path).get("layers", ()))  # none: a host being deleted
        for path in self._layers.glob("[!.]*"):
            if path.name not in used:
                remove_tree(path)
