(* Sleeps until it is ended. For the mirage command from 4.4.0 to before 4.9.0. *)
open Mirage

let main = main "Unikernel" job
let () = register "sleep" [ main ]
