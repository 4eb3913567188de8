(* Waits for a promise that never resolves, so the monitor waits forever. *)
let start () =
  print_endline "FW main";
  print_endline "FW ready";
  fst (Lwt.wait ())
