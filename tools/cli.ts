#!/usr/bin/env node
// The command line: `pagewalk COMMAND`. Commands are one file each in commands/.
import process from 'node:process';
process.stdout.write('pagewalk\n');
