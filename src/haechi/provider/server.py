"""Terraform's plugin protocol 6 for a Provider: every call of terraform core arrives in one method here.

Served on the stubs of the `tf` package. Its own framework has no nested list blocks and plans from the proposed state
only; planning here follows the older SDK of the original provider, so answers carry the "legacy type system" mark.
https://developer.hashicorp.com/terraform/plugin/terraform-plugin-protocol
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-untyped]
from tf.gen import tfplugin_pb2_grpc as rpc

from haechi.provider import wire
from haechi.provider.plan import plan_values, replaced_by
from haechi.provider.resource import Data, DataSource, Problem, Provider, Resource, empty_state
from haechi.provider.schema import Fields, complaints, fields_type
from haechi.provider.types import equal, without_unknown


class Servicer(rpc.ProviderServicer):  # type: ignore[misc]
    """One provider process."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.context: Any = None

    def GetMetadata(self, request: Any, context: Any) -> Any:
        """Names only."""
        return pb.GetMetadata.Response(
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=n) for n in self.provider.resources],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=n) for n in self.provider.data_sources],
        )

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        """Every schema; terraform asks once a command, thanks to get_provider_schema_optional."""
        every = self.provider
        return pb.GetProviderSchema.Response(
            provider=wire.render_schema(every.fields),
            provider_meta=pb.Schema(block=pb.Schema.Block()),
            resource_schemas={n: wire.render_schema(r.schema(), r.version, r.deprecated) for n, r in every.resources.items()},
            data_source_schemas={n: wire.render_schema(s.schema(), 0, s.deprecated) for n, s in every.data_sources.items()},
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        """Check the provider block."""
        return pb.ValidateProviderConfig.Response(diagnostics=_validate(self.provider.fields, request.config))

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        """Check a resource block."""
        resource = self._resource(request.type_name)
        found = _validate(resource.schema(), request.config, resource.deprecated)
        config = wire.parse_value(resource.schema(), request.config) or {}
        if resource.refuse and not found and (problem := resource.refuse(config)):
            found.append(wire.render_error(problem.summary, problem.detail, problem.path))
        return pb.ValidateResourceConfig.Response(diagnostics=found)

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        """Check a data block."""
        source = self._data_source(request.type_name)
        return pb.ValidateDataResourceConfig.Response(diagnostics=_validate(source.schema(), request.config, source.deprecated))

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        """Fit a stored state to the schema; called for every resource even if nothing changed."""
        fields = self._resource(request.type_name).schema()
        return pb.UpgradeResourceState.Response(upgraded_state=wire.render_value(fields, wire.upgrade_state(fields, request.raw_state)))

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        """Take the provider block's values."""
        response = pb.ConfigureProvider.Response()
        with _reported(response.diagnostics):
            config = wire.parse_value(self.provider.fields, request.config) or {}
            self.context = self.provider.configure(without_unknown(config))
        return response

    def ReadResource(self, request: Any, context: Any) -> Any:
        """Refresh."""
        resource = self._resource(request.type_name)
        response = pb.ReadResource.Response(private=request.private, new_state=request.current_state)
        with _reported(response.diagnostics):
            current = wire.parse_value(resource.schema(), request.current_state) or {}
            d = Data(resource.schema(), current, current, resource.seconds("read", current))
            resource.read(self.context, d)
            response.new_state.CopyFrom(wire.render_value(resource.schema(), d.state()))
        return response

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        """What apply would do."""
        resource = self._resource(request.type_name)
        response = pb.PlanResourceChange.Response(planned_private=request.prior_private, legacy_type_system=True)
        with _reported(response.diagnostics):
            fields = resource.schema()
            config, prior = wire.parse_value(fields, request.config), wire.parse_value(fields, request.prior_state)
            planned = None if config is None else plan_values(fields, config, prior)
            if planned is not None and resource.customize:
                resource.customize(prior, planned)
            if planned is not None and prior is not None:
                if _same_but_timeouts(fields, prior, planned):
                    planned = prior
                response.requires_replace.extend(wire.render_path((name,)) for name in replaced_by(fields, prior, planned))
            response.planned_state.CopyFrom(wire.render_value(fields, planned))
        return response

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        """Create, update or delete, then read; what exists after an error is saved."""
        resource = self._resource(request.type_name)
        fields = resource.schema()
        prior, planned = wire.parse_value(fields, request.prior_state), wire.parse_value(fields, request.planned_state)
        response = pb.ApplyResourceChange.Response(private=request.planned_private, legacy_type_system=True)
        if planned is None:
            state = prior
            with _reported(response.diagnostics):
                gone = Data(fields, prior or {}, prior, resource.seconds("delete", prior or {}))
                resource.delete(self.context, gone)
                state = None
        else:
            state = self._write(resource, fields, prior, planned, response.diagnostics)
        response.new_state.CopyFrom(wire.render_value(fields, state))
        return response

    def _write(self, resource: Resource, fields: Fields, prior: Any, planned: Any, diagnostics: Any) -> Any:
        operation = "create" if prior is None else "update"
        d = Data(fields, planned, prior, resource.seconds(operation, planned))
        with _reported(diagnostics):
            if prior is None:
                resource.create(self.context, d)
            elif resource.update:
                resource.update(self.context, d)
            resource.read(self.context, d)
            if not d.id:
                raise Problem(f"The object vanished right after {operation}", "The cloud did not return it when it was read back.")
            return d.state()
        if prior is None:
            return d.state()
        # A failed update: what the cloud has now is the truth; if even that cannot be read, what was known before.
        now = Data(fields, prior, prior, resource.seconds("read", prior))
        with _reported(diagnostics):
            resource.read(self.context, now)
            return now.state()
        return prior

    def ImportResourceState(self, request: Any, context: Any) -> Any:
        """Start a state from an id; terraform reads it next."""
        resource = self._resource(request.type_name)
        response = pb.ImportResourceState.Response()
        with _reported(response.diagnostics):
            if resource.import_id is None:
                raise Problem(f"resource {request.type_name} doesn't support import")
            state = {**empty_state(resource.schema()), **resource.import_id(request.id)}
            imported = pb.ImportResourceState.ImportedResource(
                type_name=request.type_name, state=wire.render_value(resource.schema(), state)
            )
            response.imported_resources.append(imported)
        return response

    def MoveResourceState(self, request: Any, context: Any) -> Any:
        """Moves between types are not offered."""
        return pb.MoveResourceState.Response(
            diagnostics=[wire.render_error(f"{request.target_type_name} cannot be moved from another type")]
        )

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        """Read a data source."""
        source = self._data_source(request.type_name)
        response = pb.ReadDataSource.Response()
        with _reported(response.diagnostics):
            d = Data(source.schema(), wire.parse_value(source.schema(), request.config) or {})
            source.read(self.context, d)
            response.state.CopyFrom(wire.render_value(source.schema(), d.state()))
        return response

    def GetFunctions(self, request: Any, context: Any) -> Any:
        """No functions."""
        return pb.GetFunctions.Response()

    def StopProvider(self, request: Any, context: Any) -> Any:
        """Interrupted: end waits."""
        if hasattr(self.context, "stop"):
            self.context.stop()
        return pb.StopProvider.Response()

    def _resource(self, name: str) -> Resource:
        return self.provider.resources[name]

    def _data_source(self, name: str) -> DataSource:
        return self.provider.data_sources[name]


def _validate(fields: Fields, value: Any, deprecated: str = "") -> list[Any]:
    config = wire.parse_value(fields, value) or {}
    found = [wire.render_error(text, "", path) for path, text in complaints(fields, config)]
    found += [
        wire.render_warning("Argument is deprecated", f.deprecated, (name,))
        for name, f in fields.items()
        if f.deprecated and config.get(name) not in (None, [])
    ]
    return found + ([wire.render_warning("Deprecated Resource", deprecated)] if deprecated else [])


def _same_but_timeouts(fields: Fields, prior: Mapping[str, Any], planned: Mapping[str, Any]) -> bool:
    t = fields_type({n: f for n, f in fields.items() if n != "timeouts"})
    return equal(t, prior, planned)


@contextmanager
def _reported(diagnostics: Any) -> Iterator[None]:
    """Errors become diagnostics. Unexpected ones name their place in the code; never their values, which may be secrets."""
    try:
        yield
    except Problem as problem:
        diagnostics.append(wire.render_error(problem.summary, problem.detail, problem.path))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = ", ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
        diagnostics.append(wire.render_error(f"The provider failed: {type(error).__name__}", f"{_plain(error)}At {places}. This is a bug."))


def _plain(error: Exception) -> str:
    # KeyError and the like name a field; other texts could quote a value.
    return f"Missing {error.args[0]!r}. " if isinstance(error, KeyError) and error.args else ""
