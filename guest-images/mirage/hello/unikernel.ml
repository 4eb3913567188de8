let start () =
  print_endline "FW main";
  print_endline "FW exit code 0";
  Lwt.return_unit
