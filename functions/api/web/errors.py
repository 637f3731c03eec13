"""What the administration's API refuses with codes of its own, in the form of the distribution specification."""

from __future__ import annotations

from functions.registry.oci.errors import OciError


class ParameterInvalid(OciError):
    """A parameter or a body of the administration's API; the reason names it and says what it takes."""

    code, message = "INVALID_PARAMETER", "invalid parameter"


class ResourceUnknown(OciError):
    code, message = "NOT_FOUND", "no such resource"


class ResourceExists(OciError):
    code, message = "CONFLICT", "it exists already"


class NameConflict(OciError):
    """A repository can't move to a name that another has; `name` is the other's."""

    code, message = "NAME_CONFLICT", "repository name is taken"


class NotRestorable(OciError):
    """What is asked for can't be put back; the reason says what of it is gone."""

    code, message = "NOT_RESTORABLE", "it can't be put back"


class ImportUnfinished(OciError):
    """A repository can't move while one that is still being imported has one of the names; `name` is that one's."""

    code, message = "IMPORT_UNFINISHED", "repositories are still being imported"
