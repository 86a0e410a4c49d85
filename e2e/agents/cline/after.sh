#!/bin/sh
exec @BESIDE@
