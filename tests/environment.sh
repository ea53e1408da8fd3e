# To be sourced: takes from the environment what would change a test's outcome.
# Somebody who works on kootask has the settings of a service exported, or those
# of a database's clients. What a test itself starts has a clean environment
# anyway: tests/support/command.rs.
for variable in $(compgen -e); do
  case $variable in
    KOOTASK_* | PG* | RUST_LOG | INSTA_*) unset "$variable" ;;
  esac
done
unset variable
