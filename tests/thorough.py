"""Which tests `make test` leaves to `make test-thorough`, and why. `.ci/run` runs both.

What `make test` is for is whoever changes something and waits for it: five minutes on two cores. So here is what
starts, kills or restores a whole registry for one sentence, and what tries many cases of a thing of which others try a
few.
"""

from __future__ import annotations

from typing import Final

# A folder, a module, or a function of one, with all its cases.
THOROUGH: Final[dict[str, tuple[str, ...]]] = {
    "the deployment's texts and its rehearsal: few changes touch them": (
        "tests/preflight",
        "tests/terraform",
    ),
    "a whole registry, function or store is started or filled, and ended or killed, for each": (
        "tests/faults/test_crashes.py",
        "tests/local/test_endings.py",
        "tests/local/test_interrupted.py",
        "tests/local/test_refusals.py",
        "tests/local/test_seed.py",
        "tests/contract/test_storage_process.py",
        "tests/faults/test_answers.py::test_every_answer_is_json_or_empty",
        "tests/local/test_up.py",
    ),
    "a whole registry is backed up, destroyed and restored for each: those that stay restore every tag": (
        "tests/backups/test_command_line.py",
        "tests/backups/test_failing_store.py",
        "tests/backups/test_holds.py::test_a_backup_that_is_killed_at_any_step_is_whole_or_none",
        "tests/backups/test_keeping.py::test_a_backup_is_verified",
        "tests/backups/test_keeping.py::test_pruned_are_backups_that_need_not_be_kept_and_what_they_alone_name",
        "tests/backups/test_keeping.py::test_what_a_backup_has_lost_is_found",
        "tests/backups/test_keeping.py::test_what_a_destination_keeps_is_told",
        "tests/backups/test_restoring.py::test_a_backup_that_was_cut_short_is_no_backup",
        "tests/backups/test_restoring.py::test_a_part_that_is_not_what_it_was_leaves_everything_as_it_is",
        "tests/backups/test_restoring.py::test_an_object_that_the_backup_lost_is_told_and_forced_past",
        "tests/backups/test_restoring.py::test_it_comes_back_in_the_schema_that_it_had_and_then_goes_on_to_this_one",
        "tests/backups/test_restoring.py::test_nothing_is_restored_over_what_somebody_has_pushed",
        "tests/backups/test_restoring.py::test_of_the_backups_the_one_that_was_restored_is_known_as_sealed",
        "tests/backups/test_restoring.py::test_what_is_due_waits_for_a_day_at_least",
        "tests/backups/test_restoring.py::test_what_the_registry_had_lost_before_is_lost_there_too",
        "tests/backups/test_restoring.py::test_who_may_do_what_comes_back_and_who_was_signed_in_does_not",
    ),
    "whole layouts of older registries are moved in, and each page of the recipes is gone through": (
        "tests/imports/test_broken_layouts.py",
        "tests/imports/test_former_names.py::test_a_real_layout_tells_the_history_of_every_tag",
        "tests/imports/test_import.py",
        "tests/imports/test_migrate_page.py",
        "tests/imports/test_nasty.py::test_a_manifest_that_can_t_be_taken_is_told_and_keeps_no_other",
    ),
    "the long way back of an import: killed at any write, compared with what an older registry serves": (
        "tests/imports/test_export.py",
    ),
    "a background migration of many rows, each time from its beginning": (
        "tests/background/test_gate.py",
        "tests/background/test_operator.py",
        "tests/background/test_runner.py",
        "tests/background/test_standby.py",
    ),
    "random steps compared with a model: others tell what each step does": (
        "tests/property/moving/test_moving.py",
        "tests/metadata/usage/test_trends.py::test_ranks_are_what_one_adds_up_by_hand_whatever_happens",
        "tests/metadata/usage/test_untagged.py::test_an_untagged_scan_finds_what_one_finds_by_hand",
        "tests/metadata/usage/test_usage.py::test_a_recount_goes_through_all_there_is_or_says_that_it_has_not",
        "tests/metadata/usage/test_usage.py::test_counters_stay_exact_whatever_one_client_does",
        "tests/retention/test_machine.py",
        "tests/retention/test_random.py::test_what_is_planned_and_what_goes_is_the_models",
        "tests/property/test_machine.py",
        "tests/api/v2/test_strangers_texts.py",
        "tests/property/test_fuzz.py",
        "tests/property/test_fuzz_tenants.py",
        "tests/security/test_console.py::test_odd_addresses_never_make_a_fault",
    ),
    "more schedules of two operations: some of each pair of the collection stay": (
        "tests/races/test_background.py::test_a_sample_of_schedules_breaks_nothing",
        "tests/races/test_checks.py::test_a_sample_of_schedules_breaks_nothing",
        "tests/races/test_events.py::test_a_sample_of_schedules_breaks_nothing",
        "tests/races/test_imports.py::test_a_sample_of_schedules_breaks_nothing",
        "tests/races/test_imports.py::test_whoever_dies_or_comes_twice_breaks_nothing",
        "tests/races/test_pairs.py::test_a_sample_of_schedules_ends_as_the_table_says",
        "tests/races/test_retention.py::test_a_sample_of_schedules_breaks_nothing",
        "tests/races/test_undo.py::test_a_sample_of_schedules_breaks_nothing",
    ),
    "a check or an upload of a whole registry, killed, cut or as large as one can be": (
        "tests/checks/test_adopted.py",
        "tests/checks/test_beside_load.py",
        "tests/checks/test_interrupted.py",
        "tests/rehearsal/test_uploads.py",
    ),
    "a limit of time has to pass": (
        "tests/faults/test_cut_bodies.py::test_a_body_that_stops_coming_is_given_up",
        "tests/faults/test_dependencies.py",
        "tests/faults/test_large_manifests.py::test_a_large_push_has_the_time_of_one_piece_of_a_layer",
        "tests/faults/test_slow_bodies.py",
        "tests/imports/remote/test_copying.py::test_one_that_asks_for_rest_is_given_it",
        "tests/imports/remote/test_hostile.py::test_one_that_is_down_is_not_taken_for_one_that_lacks_something",
        "tests/imports/remote/test_work.py::test_one_that_is_down_is_come_back_to",
        "tests/metadata/test_blocking.py::test_a_write_waits_three_seconds_for_a_lock_and_a_move_longer",
        "tests/metadata/test_blocking.py::test_pushes_that_wait_for_a_lock_hold_up_no_pull",
        "tests/cli/test_bad_input.py::test_nobody_reads_what_is_given_or_said",
        "tests/cli/test_bad_input.py::test_what_happens_is_followed_until_ctrl_c",
        "tests/security/test_signing_in.py::test_an_unknown_user_takes_as_long_as_a_wrong_password",
    ),
    "all there is is gone through: examples, routes as everybody, triggers, orders, the official suite's tables": (
        "tests/cli/test_examples.py::test_examples_do_what_they_say",
        "tests/cli/test_examples.py::test_what_is_given_for_programs_is_the_apis",
        "tests/conformance/test_classic.py",
        "tests/metadata/test_rights.py::test_all_that_may_happen_to_a_repository_may_be_done_by_the_api",
        "tests/security/test_matrix.py::test_the_matrix_is_as_documented",
        "tests/api/v1/test_insights.py::test_every_order_forwards_and_backwards_one_by_one",
        "tests/metadata/history/test_history.py::test_history_of_a_tag_is_bounded",
        "tests/metadata/lists/test_lists.py::test_repositories_in_every_order_both_ways",
        "tests/metadata/content/test_referrers.py::test_a_page_ends_before_it_is_larger_than_a_manifest",
    ),
}


def is_thorough(node: str) -> bool:
    """Says whether the test with this id is left to `make test-thorough`."""
    named = [each for some in THOROUGH.values() for each in some]
    return any(node == each or node.startswith((f"{each}/", f"{each}::", f"{each}[")) for each in named)
