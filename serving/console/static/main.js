// Every page registers itself by being imported; then the shell starts.

import { start } from "./app.js";
import "./playground.js";
import "./personas.js";
import "./persona.js";
import "./new_persona.js";
import "./training.js";
import "./run.js";
import "./traffic.js";

start();
