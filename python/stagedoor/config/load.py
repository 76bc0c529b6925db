"""Read, check, and say everything that is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Environment
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from pydantic import TypeAdapter

from stagedoor.config.activities import load_activities
from stagedoor.config.address import HttpUrl
from stagedoor.config.admin import admin_files
from stagedoor.config.configuration import Configuration
from stagedoor.config.data_plane import data_plane, expressions
from stagedoor.config.description import load_descriptions
from stagedoor.config.descriptor_files import descriptor_files
from stagedoor.config.fields import fields
from stagedoor.config.graphql import load_graphql
from stagedoor.config.include import Reader
from stagedoor.config.pem import read_pem
from stagedoor.config.problem import InvalidConfiguration, Located, Report, ordered
from stagedoor.config.references import references
from stagedoor.config.validate import validate
from stagedoor.config.workflows import load_workflows
from stagedoor.config.wsdl import load_operations


class More(TypedDict, total=False):
    """What a file may be read with beside what it says."""

    also: Path
    """A workflow document."""
    hosts: tuple[str, ...]
    """``http(s)://HOST:PORT`` that workflows may call. ValueError if one is no such thing."""


def load(
    path: str | os.PathLike[str], environment: Environment[str, str] = os.environ, **more: Unpack[More]
) -> Configuration:
    """The configuration of a file, which may have faults that can be served with. Raises InvalidConfiguration with
    every problem."""
    report = check(path, environment, **more)
    if report.configuration is None:
        raise InvalidConfiguration(report.problems)
    return report.configuration


def check(
    path: str | os.PathLike[str], environment: Environment[str, str] = os.environ, **more: Unpack[More]
) -> Report:
    """Everything there is to say about a file: errors and warnings of the file, of what it includes, of its workflow
    documents, and of the data plane."""
    file = Path(path).resolve()
    reader = Reader(environment)
    root = reader.root(file)
    if root is None:
        return Report(_finish(reader, reader.problems))
    settings, problems = validate(root, frozenset(reader.unresolved))
    if settings is not None and more.get("hosts"):
        engine = settings.engine
        hosts = [*engine.allow_hosts, *TypeAdapter(list[HttpUrl]).validate_python(list(more["hosts"]))]
        settings = settings.model_copy(update={"engine": engine.model_copy(update={"allow_hosts": hosts})})
    workflows = load_workflows(reader, root, settings, more.get("also"))
    if settings is None:
        return Report(_finish(reader, problems + reader.problems))
    descriptions = load_descriptions(reader, root, settings)
    graphql = load_graphql(reader, root, settings)
    operations = load_operations(reader, root, settings)
    problems += reader.problems
    activities, unloaded = load_activities(root, settings, file.parent) if workflows.definitions else ({}, [])
    problems += unloaded
    problems += references(root, settings, workflows, reader.incomplete, None if unloaded else activities)
    problems += expressions(root, settings)
    problems += fields(root, settings, descriptions)
    descriptors = descriptor_files(root, settings, problems)
    problems += admin_files(root, settings.admin, file.parent)
    configuration = Configuration(
        path=file,
        settings=settings,
        workflows=workflows.definitions,
        documents=workflows.documents,
        descriptions=descriptions,
        activities=activities,
        files=frozenset(reader.files) | reader.substitution.files | descriptors,
        graphql=graphql,
        operations=operations,
        pem=read_pem(settings, file.parent),
    )
    problems += data_plane(root, configuration, problems)
    problems = _finish(reader, problems)
    if any(problem.severity == "error" and not problem.tolerable for problem in problems):
        return Report(problems)
    warnings = tuple(problem for problem in problems if not problem.tolerable)
    faults = tuple(problem for problem in problems if problem.tolerable)
    return Report(problems, replace(configuration, warnings=warnings, faults=faults))


_SHORTEST_SECRET = 4
"""Shorter values are words such as "on"; to hide them would garble every sentence."""


def _finish(reader: Reader, problems: list[Located]) -> list[Located]:
    """Ordered, and without any value that came from the environment or another file, whoever wrote the sentence."""
    secrets = [re.escape(each) for each in reader.substitution.secrets if len(each) >= _SHORTEST_SECRET]
    if secrets:
        pattern = re.compile("|".join(sorted(secrets, key=len, reverse=True)), re.IGNORECASE)
        problems = [
            replace(
                problem,
                message=pattern.sub("***", problem.message),
                hint=None if problem.hint is None or pattern.search(problem.hint) else problem.hint,
            )
            for problem in problems
        ]
    return ordered(problems)
