//! Rehearsals on the running kernel. Every case runs in a process of its own, because a rehearsal
//! forks; cases that need mounts make them in a scratch mount namespace. Nothing outside the
//! temporary directory of a case is ever written to.

mod attacks;
mod cases;
mod driver;
mod inplace;
mod lane;
mod mounts;
mod programs;
mod runner;
mod ways;

use runner::Case;

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        const CASES: &[Case] = &[$((stringify!($name), $module::$name)),*];
    };
}

cases![
    cases::a_delete_through_a_link_stays_in_the_upper,
    cases::codes_and_signals_come_out_as_they_are,
    cases::a_file_without_a_format_is_given_to_sh,
    cases::the_surroundings_are_the_callers,
    cases::what_outlives_the_command_is_stopped_and_told,
    cases::killing_backstop_kills_the_run,
    cases::a_termination_ends_the_run_with_an_error,
    cases::standard_input_moves_on_for_the_caller,
    cases::a_directory_as_a_stream_is_refused,
    cases::a_file_that_could_be_opened_anew_for_writing_is_refused,
    cases::a_hidden_working_directory_is_a_clear_error,
    cases::only_pipes_are_inherited,
    cases::too_much_is_stopped,
    cases::too_much_is_stopped_while_it_connects_without_pause,
    cases::too_much_is_stopped_while_others_free_as_much,
    cases::inside_knows_it_is_inside,
    attacks::nothing_leads_out,
    attacks::sockets_of_the_machine_are_shut_and_told,
    attacks::outside_processes_are_out_of_reach,
    attacks::no_packet_leaves_without_a_network,
    attacks::no_kind_of_socket_leaves_without_a_network,
    lane::what_would_write_is_refused_and_told,
    lane::what_only_reads_says_what_it_says_without_backstop,
    lane::nothing_leads_out_while_only_reading,
    lane::sockets_of_the_machine_are_shut_while_only_reading,
    lane::no_network_is_there_while_only_reading_without_one,
    inplace::its_own_place_is_written_at_once_and_nothing_else_at_all,
    inplace::nothing_leads_out_in_place,
    inplace::sockets_of_the_machine_are_shut_in_place,
    inplace::what_sets_up_an_agent_is_not_planted,
    inplace::what_sets_up_an_agent_is_not_replaced,
    inplace::a_shared_place_is_its_own,
    inplace::a_disk_that_runs_full_ends_it,
    inplace::vaults_that_are_not_there_yet_are_shut,
    inplace::the_machine_is_as_ever_to_a_server,
    programs::each_is_told_by_what_it_is,
    programs::a_script_is_its_interpreter_and_what_is_not_there_is_nothing,
    programs::arguments_that_are_changed_meanwhile_are_told_as_they_came,
    programs::whoever_asks_in_vain_goes_on_as_ever,
    programs::threads_that_begin_at_once_keep_nobody_waiting,
    programs::what_is_debugged_is_told_as_it_was_asked_for,
    programs::too_many_are_counted,
    programs::a_run_that_is_stopped_still_tells,
    ways::pipes_and_sockets_in_read_only_places_are_out_of_reach,
    ways::a_directory_that_only_its_owner_reads_keeps_its_place,
    ways::what_is_the_run_s_own_can_be_written_to,
    mounts::a_tmpfs_has_a_layer_and_a_vault_of_its_own,
    mounts::a_bind_mount_leads_to_the_same_files,
    mounts::read_only_mounts_stay_read_only,
    mounts::what_a_full_disk_makes_read_only_is_told,
    mounts::a_disk_below_run_is_there,
    mounts::a_bind_mount_with_a_shorter_path_than_its_source_works,
    mounts::a_bind_mount_does_not_lead_to_what_is_hidden,
    mounts::a_file_mounted_on_a_file_is_read_only,
    mounts::a_machine_that_allows_no_view_is_refused_with_advice,
    mounts::a_root_that_gets_only_a_users_view_is_told_why,
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "--driver") {
        driver::main(&args[2..]);
        return;
    }
    runner::main(&args, CASES);
}
