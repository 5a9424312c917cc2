-- Room: fleet. A profile has the name that its newest version gives it.
grant update (name) on fleet.profile to bartizan_console;
