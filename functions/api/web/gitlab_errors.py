"""What GitLab's API refuses with codes of its own; their names and messages are those that GitLab knows."""

from __future__ import annotations

from functions.registry.oci.errors import OciError


class QueryValueInvalid(OciError):
    """The detail names the parameter, and what it takes; so it does in the three below."""

    code, message = "INVALID_QUERY_PARAMETER_VALUE", "invalid query parameter value"


class QueryTypeInvalid(OciError):
    code, message = "INVALID_QUERY_PARAMETER_TYPE", "invalid query parameter value type"


class BodyValueInvalid(OciError):
    code, message = "INVALID_BODY_PARAMETER", "invalid body parameter"


class BodyTypeInvalid(OciError):
    code, message = "INVALID_BODY_PARAMETER_TYPE", "invalid body parameter type"


class JsonInvalid(OciError):
    code, message = "INVALID_JSON_BODY", "invalid json body"


class ProjectUnknown(OciError):
    """The token doesn't say which project the repository is of."""

    code, message = "UNKNOWN_PROJECT_PATH_CLAIM", "the token names no project path for the repository"


class ProjectDiffers(OciError):
    code, message = "MISMATCH_PROJECT_PATH_CLAIM", "the token's project path is not the repository's"


class RenameConflict(OciError):
    code, message = "RENAME_CONFLICT", "repository name is already taken"


class MigrationInvalid(OciError):
    code, message = "BBM_ID_INVALID", "invalid background migration id"


class MigrationUnknown(OciError):
    code, message = "BBM_ID_NOT_FOUND", "background migration not found"


class TagUnknown(OciError):
    code, message = "TAG_UNKNOWN", "tag unknown to registry"


class TagInvalid(OciError):
    code, message = "TAG_INVALID", "invalid tag name"
