"""What the other functions' users may do in the database, table by table: this is the one list of it.

The tables belong to whoever migrates, so it is migrate that gives the rights, each time, after the migrations. They are
written as PostgreSQL shows them: r SELECT, a INSERT, w UPDATE (which a lock on rows takes too), d DELETE. A table
without a line is nobody's. tests/metadata/test_rights.py compares the list with what the functions' statements do, and
with what those set off. Besides, `work` reads every table that a backup has (backups/tables.py).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, text

from functions.migrate.backups.tables import COPIED

PRIVILEGES: Final = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
# Views are among them. What a line names and a later migration took away is passed by.
_TABLES: Final = """
    SELECT relname FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
     ORDER BY relname
"""
_GIVEN: Final = text(
    """
    SELECT relation.relname, given.privilege_type
      FROM pg_class AS relation
     CROSS JOIN aclexplode(relation.relacl) AS given
      JOIN pg_roles AS role ON role.oid = given.grantee
     WHERE relation.relnamespace = 'public'::regnamespace AND relation.relkind IN ('r', 'p', 'v')
       AND role.rolname = :user
     ORDER BY relation.relname, given.privilege_type
    """
)


class Rights(NamedTuple):
    api: str
    gc: str
    work: str = ""
    deliver: str = ""


class Users(NamedTuple):
    """Who logs in as which function; empty for nobody but whoever migrates."""

    api: str = ""
    gc: str = ""
    work: str = ""
    deliver: str = ""


NOBODY: Final = Users()

RIGHTS: Final[dict[str, Rights]] = {
    "alembic_version": Rights("r", "r", "r", "r"),
    "audit": Rights("ra", "rd", "ra"),
    "backup_drills": Rights("ra", ""),
    "backup_runs": Rights("ra", "", "raw"),
    "background_failures": Rights("r", "", "rawd"),
    "background_migrations": Rights("rw", "", "rw"),
    "blob_reviews": Rights("raw", "rawd", "raw"),
    "blobs": Rights("raw", "rwd", "raw"),
    "check_pieces": Rights("rd", "", "rawd"),
    "checks": Rights("raw", "", "rawd"),
    "collected": Rights("r", "raw"),
    "console_links": Rights("rad", "rwd"),
    "console_sessions": Rights("rawd", "rwd"),
    "deletions": Rights("rawd", "rawd", "rawd"),
    "deliveries": Rights("rw", "", "", "rawd"),
    "event_fan_out": Rights("r", "", "", "rw"),
    "events": Rights("ra", "ra", "ra", "rwd"),
    "findings": Rights("rw", "", "rawd"),
    "gc_settings": Rights("r", "r", "r"),
    "grants": Rights("rawd", ""),
    "holds": Rights("", "r", "rawd"),
    "identities": Rights("rawd", ""),
    "import_deleted": Rights("rad", "ra", "rad"),
    "import_modes": Rights("rad", "r", "r"),
    "import_places": Rights("", "", "raw"),
    "import_problems": Rights("raw", "", "raw"),
    "import_ranges": Rights("ra", "", "rawd"),
    "import_repositories": Rights("raw", "rw", "rawd"),
    "import_sources": Rights("rawd", "r", "rw"),
    "import_tags": Rights("raw", "r", "rawd"),
    "lanes": Rights("raw", "", "", "raw"),
    "link_reviews": Rights("raw", "rawd", "raw"),
    "manifest_blobs": Rights("ra", "r", "ra"),
    "manifest_children": Rights("rad", "rd", "ra"),
    "manifest_days": Rights("raw", "rawd", "raw"),
    "manifest_reviews": Rights("raw", "rawd", "raw"),
    "manifests": Rights("rawd", "rwd", "raw"),
    "namespace_blobs": Rights("rawd", "rawd", "rawd"),
    "namespace_days": Rights("raw", "rawd", "raw"),
    "namespace_totals": Rights("r", "r", "r"),
    "namespace_usage": Rights("raw", "rw", "raw"),
    "namespaces": Rights("raw", "r", "ra"),
    "platforms": Rights("ra", "rw", "ra"),
    "principals": Rights("rawd", ""),
    "quotas": Rights("rawd", "r", "r"),
    "refresh_tokens": Rights("rad", "rwd"),
    "registry_days": Rights("raw", "rawd", "raw"),
    "registry_totals": Rights("r", "r", "r"),
    "registry_usage": Rights("", "rw"),
    "repositories": Rights("rawd", "rwd", "raw"),
    "repository_blobs": Rights("rawd", "rwd", "raw"),
    "repository_days": Rights("raw", "rawd", "raw"),
    "repository_kinds": Rights("raw", "raw", "raw"),
    "repository_trends": Rights("raw", "raw", "raw"),
    "repository_usage": Rights("raw", "rw", "raw"),
    "retention_clock": Rights("", "raw"),
    "retention_fills": Rights("raw", "rawd", "raw"),
    "retention_policies": Rights("rawd", "rw", "r"),
    "retention_reviews": Rights("raw", "rawd", "raw"),
    "retention_runs": Rights("raw", "rawd"),
    "retention_scopes": Rights("ra", "rawd", "ra"),
    "retention_verdicts": Rights("rawd", "rawd"),
    "secrets": Rights("raw", ""),
    "sign_in_failures": Rights("rawd", "rwd"),
    "sparse_references": Rights("ra", "r", "rad"),
    "subscriptions": Rights("rawd", "r", "r", "rw"),
    "tag_days": Rights("raw", "rawd", "raw"),
    "tag_history": Rights("rad", "rawd", "rad"),
    "tag_reviews": Rights("raw", "rawd"),
    "tag_rules": Rights("rad", "r", "r"),
    "tags": Rights("rawd", "rwd", "rawd"),
    "trusted_publishers": Rights("rad", ""),
    "upload_objects": Rights("rawd", "", "rawd"),
    "uploads": Rights("rawd", "rwd", "rawd"),
    "usage_changes": Rights("ra", "rawd", "ra"),
    "used_tokens": Rights("ra", "rwd"),
    "withdrawn_manifests": Rights("rawd", "rawd", "rwd"),
}


def give(connection: Connection, users: Users, *, takes_away: bool) -> list[str]:
    """Gives all rights in one transaction. What isn't listed any more is taken away only if no older code is left that
    may use it: then whoever goes back to that has to know, so it is returned.
    """
    tables = [name for (name,) in connection.exec_driver_sql(_TABLES)]
    taken = []
    for program, user in zip(Users._fields, users, strict=True):
        if not user:
            continue
        quoted = '"' + user.replace('"', '""') + '"'
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {quoted}")
        listed = {table: _privileges(table, program) for table in tables}
        for table, privileges in listed.items():
            if privileges:
                connection.exec_driver_sql(f'GRANT {", ".join(privileges)} ON "{table}" TO {quoted}')
        if program == "work":
            connection.exec_driver_sql(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {quoted}")
        for table, privilege in connection.execute(_GIVEN, {"user": user}) if takes_away else ():
            if privilege not in listed[table]:
                connection.exec_driver_sql(f'REVOKE {privilege} ON "{table}" FROM {quoted}')
                taken.append(f"{program}: no {privilege} on {table}")
    connection.commit()
    return taken


def _privileges(table: str, program: str) -> list[str]:
    letters = getattr(RIGHTS.get(table), program, "")
    reads = "r" if program == "work" and table in COPIED else ""
    return [privilege for letter, privilege in PRIVILEGES.items() if letter in letters + reads]
