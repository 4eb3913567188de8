(* A promise that nobody keeps: the monitor waits for an event that does not come. *)
let start () =
  print_endline "FW main";
  print_endline "FW ready";
  fst (Lwt.wait ())
