"""Ansible's inventories, read as they are: its INI and YAML files, the folders beside them, and what programs print.

Sources: Ansible's guide "How to build your inventory" and its inventory plugins `ini`, `yaml` and `script`, of 2.19.
"""
